# Installs the build tree into a scratch prefix, moves the prefix, and builds and runs consumers
# against it: by find_package and by pkg-config, shared and static.
#     cmake -D BUILD_DIR=… -D SOURCE_DIR=… -D SCRATCH=… -D CC=… -D PKG_CONFIG=… -P install_test.cmake
function(step)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
endfunction()
set(consumer ${SOURCE_DIR}/tests/package/consumer)
set(prefix ${SCRATCH}/moved)
file(REMOVE_RECURSE ${SCRATCH})

step(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${SCRATCH}/first)
file(RENAME ${SCRATCH}/first ${prefix})
file(GLOB_RECURSE static_library ${prefix}/*/libmarlin_moe.a)

# by_find_package(<folder> <option>...)
function(by_find_package folder)
    step(${CMAKE_COMMAND} -S ${consumer} -B ${SCRATCH}/${folder} -D CMAKE_PREFIX_PATH=${prefix}
         -D CMAKE_C_COMPILER=${CC} ${ARGN})
    step(${CMAKE_COMMAND} --build ${SCRATCH}/${folder})
    execute_process(COMMAND ${SCRATCH}/${folder}/consumer COMMAND_ERROR_IS_FATAL ANY)
endfunction()
by_find_package(find_package)
if(static_library)
    by_find_package(find_package_static -D MARLIN_MOE_STATIC=ON)
endif()

if(NOT PKG_CONFIG)
    message("pkg-config is not installed: those consumers were not built")
    return()
endif()
file(GLOB_RECURSE package_file ${prefix}/*/marlin_moe.pc)
get_filename_component(package_path ${package_file} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${package_path})
get_filename_component(library_path ${package_path} DIRECTORY)

# by_pkg_config(<name> <option of pkg-config>...)
function(by_pkg_config name)
    execute_process(COMMAND ${PKG_CONFIG} ${ARGN} --cflags --libs marlin_moe OUTPUT_VARIABLE flags
                    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    step(${CC} ${consumer}/main.c -o ${SCRATCH}/${name} ${flags} -Wl,-rpath,${library_path})
    execute_process(COMMAND ${SCRATCH}/${name} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
by_pkg_config(pkg_config)
# Where both are, -lmarlin_moe means the shared one; the static program must do without it.
if(static_library)
    file(COPY ${prefix}/ DESTINATION ${SCRATCH}/static FOLLOW_SYMLINK_CHAIN)
    file(GLOB_RECURSE shared_library ${SCRATCH}/static/*/libmarlin_moe.so*)
    file(REMOVE ${shared_library})
    string(REPLACE ${prefix} ${SCRATCH}/static package_path ${package_path})
    set(ENV{PKG_CONFIG_PATH} ${package_path})
    by_pkg_config(pkg_config_static --static)
endif()
