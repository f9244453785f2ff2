# Configures a consumer that has the library's sources: it gets the one target and none of our
# tests, tools, warnings or packages. Configured only: the sources are those that this build has
# compiled already.
#     cmake -D SOURCE_DIR=… -D SCRATCH=… -D CC=… -D CXX=… -D GENERATOR=… -D AS=MARLIN_MOE_SOURCE or
#           MARLIN_MOE_FETCH, see consumer/CMakeLists.txt -P subdirectory_test.cmake
file(REMOVE_RECURSE ${SCRATCH})
execute_process(COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET COMMAND ${CMAKE_COMMAND}
                -S ${SOURCE_DIR}/tests/package/consumer -B ${SCRATCH} -G ${GENERATOR}
                -D ${AS}=${SOURCE_DIR} -D MMOE_CUDA=OFF
                -D CMAKE_C_COMPILER=${CC} -D CMAKE_CXX_COMPILER=${CXX})
