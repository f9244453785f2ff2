# Installs the build tree into a scratch prefix, moves the prefix, and builds consumers against
# it: by find_package and by pkg-config.
#     cmake -D BUILD_DIR=… -D SOURCE_DIR=… -D SCRATCH=… -D CC=… -D PKG_CONFIG=… -P install_test.cmake
function(step)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
endfunction()
set(consumer ${SOURCE_DIR}/tests/package/consumer)
set(prefix ${SCRATCH}/moved)
file(REMOVE_RECURSE ${SCRATCH})

step(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${SCRATCH}/first)
file(RENAME ${SCRATCH}/first ${prefix})

step(${CMAKE_COMMAND} -S ${consumer} -B ${SCRATCH}/find_package -D CMAKE_PREFIX_PATH=${prefix}
     -D CMAKE_C_COMPILER=${CC})
step(${CMAKE_COMMAND} --build ${SCRATCH}/find_package)
execute_process(COMMAND ${SCRATCH}/find_package/consumer COMMAND_ERROR_IS_FATAL ANY)

if(NOT PKG_CONFIG)
    message("pkg-config is not installed: that consumer was not built")
    return()
endif()
file(GLOB_RECURSE package_file ${prefix}/*/marlin_moe.pc)
get_filename_component(package_path ${package_file} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${package_path})
execute_process(COMMAND ${PKG_CONFIG} --cflags --libs marlin_moe OUTPUT_VARIABLE flags
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
get_filename_component(library_path ${package_path} DIRECTORY)
step(${CC} ${consumer}/main.c -o ${SCRATCH}/by_pkg_config ${flags} -Wl,-rpath,${library_path})
execute_process(COMMAND ${SCRATCH}/by_pkg_config COMMAND_ERROR_IS_FATAL ANY)
