# Builds a consumer that has the library as a subdirectory.
#     cmake -D SOURCE_DIR=… -D SCRATCH=… -D CC=… -D CXX=… -P subdirectory_test.cmake
file(REMOVE_RECURSE ${SCRATCH})
execute_process(COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET COMMAND ${CMAKE_COMMAND}
                -S ${SOURCE_DIR}/tests/package/consumer -B ${SCRATCH} -G ${GENERATOR}
                -D MARLIN_MOE_SOURCE=${SOURCE_DIR} -D MMOE_CUDA=OFF -D CMAKE_BUILD_TYPE=Debug
                -D CMAKE_C_COMPILER=${CC} -D CMAKE_CXX_COMPILER=${CXX})
execute_process(COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET
                COMMAND ${CMAKE_COMMAND} --build ${SCRATCH} --parallel 2)
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND ${SCRATCH}/consumer)
