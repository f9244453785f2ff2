# Builds and runs consumers of an installed tree: by find_package and by pkg-config, shared and
# static. Included by the scripts that make such trees; they have SOURCE_DIR, SCRATCH, CC and
# PKG_CONFIG (false: not installed) from their command line.
function(step)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
endfunction()
set(consumer ${SOURCE_DIR}/tests/package/consumer)

# by_find_package(<prefix> <folder to build in> <option>...)
function(by_find_package prefix folder)
    step(${CMAKE_COMMAND} -S ${consumer} -B ${folder} -D CMAKE_PREFIX_PATH=${prefix}
         -D CMAKE_C_COMPILER=${CC} ${ARGN})
    step(${CMAKE_COMMAND} --build ${folder})
    execute_process(COMMAND ${folder}/consumer COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# by_pkg_config(<prefix> <program to make> <option of pkg-config>...)
function(by_pkg_config prefix program)
    file(GLOB_RECURSE package_file ${prefix}/*/marlin_moe.pc)
    get_filename_component(package_path ${package_file} DIRECTORY)
    get_filename_component(library_path ${package_path} DIRECTORY)
    set(ENV{PKG_CONFIG_PATH} ${package_path})
    execute_process(COMMAND ${PKG_CONFIG} ${ARGN} --cflags --libs marlin_moe OUTPUT_VARIABLE flags
                    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    step(${CC} ${consumer}/main.c -o ${program} ${flags} -Wl,-rpath,${library_path})
    execute_process(COMMAND ${program} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# try_consumers(<prefix>): in every way that the tree in <prefix> offers. Nothing may name a place
# where the tree is not.
function(try_consumers prefix)
    get_filename_component(name ${prefix} NAME)
    set(work ${SCRATCH}/consumers/${name})
    file(MAKE_DIRECTORY ${work})
    file(GLOB_RECURSE static_library ${prefix}/*/libmarlin_moe.a)
    by_find_package(${prefix} ${work}/find_package)
    if(static_library)
        by_find_package(${prefix} ${work}/find_package_static -D MARLIN_MOE_STATIC=ON)
    endif()
    if(NOT PKG_CONFIG)
        message("pkg-config is not installed: those consumers were not built")
        return()
    endif()
    by_pkg_config(${prefix} ${work}/pkg_config)
    # Where both are, -lmarlin_moe means the shared one; the static program must do without it.
    if(static_library)
        file(COPY ${prefix}/ DESTINATION ${work}/static FOLLOW_SYMLINK_CHAIN)
        file(GLOB_RECURSE shared_library ${work}/static/*/libmarlin_moe.so*)
        file(REMOVE ${shared_library})
        by_pkg_config(${work}/static ${work}/pkg_config_static --static)
    endif()
endfunction()
