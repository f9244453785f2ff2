# Runs TOOL with ARGUMENTS (separated by |) and fails unless it ends with CODE; then says what
# it printed.
string(REPLACE "|" ";" arguments "${ARGUMENTS}")
execute_process(COMMAND ${TOOL} ${arguments} RESULT_VARIABLE code
                OUTPUT_VARIABLE output ERROR_VARIABLE output)
message("${output}")
if(NOT code STREQUAL CODE)
    message(FATAL_ERROR "mmoe ${arguments}: expected exit code ${CODE}, got ${code}")
endif()
