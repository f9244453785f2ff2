# A room is an object library that lists its sources and the rooms it may use. Everything that
# our code is compiled with stands here.

set(flags -Wall -Wextra -Wundef -fvisibility=hidden)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 sees overlapping copies inside std::string's operator+ (its bug 105651).
    list(APPEND flags -Wno-restrict)
endif()
if(MINGW)
    # Its C++ library has ISO printf, but GCC checks against Microsoft's, which lacks %zu.
    list(APPEND flags -D__USE_MINGW_ANSI_STDIO=1 -Wno-format -Wno-format-extra-args)
endif()
if(MMOE_WERROR)
    list(APPEND flags -Werror)
endif()
if(MMOE_SANITIZE)
    list(APPEND flags -fsanitize=${MMOE_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -g)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # Among a sanitizer's calls GCC 12 sees std::optional read before it is set, and a test's own
        # operator new inlined but not its delete.
        list(APPEND flags -Wno-maybe-uninitialized -Wno-mismatched-new-delete)
    endif()
else()
    list(APPEND flags -fstack-protector-strong $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()

add_library(mmoe_flags INTERFACE)
target_compile_features(mmoe_flags INTERFACE cxx_std_20 c_std_99)
target_compile_options(mmoe_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:C,CXX>:${flags}>"
    $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
# Asserts state what callers have proved; a release library has none.
target_compile_definitions(mmoe_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:NDEBUG>)
set(MMOE_SYSTEM_LIBRARIES "")
if(MINGW)  # where the stack protector's functions are a library, and WaitOnAddress has one
    set(MMOE_SYSTEM_LIBRARIES ssp synchronization)
endif()
target_link_libraries(mmoe_flags INTERFACE ${MMOE_SYSTEM_LIBRARIES})
if(MMOE_SANITIZE)
    target_link_options(mmoe_flags INTERFACE -fsanitize=${MMOE_SANITIZE})
endif()

set_property(GLOBAL PROPERTY MMOE_ROOMS "")

# mmoe_room(<name> SOURCES <file>... [USES <room>...])
function(mmoe_room name)
    cmake_parse_arguments(PARSE_ARGV 1 room "" "" "SOURCES;USES")
    add_library(mmoe_${name} OBJECT ${room_SOURCES})
    set_target_properties(mmoe_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_include_directories(mmoe_${name} PUBLIC ${PROJECT_SOURCE_DIR}/lib
                                                   ${PROJECT_SOURCE_DIR}/kernels)
    target_link_libraries(mmoe_${name} PRIVATE mmoe_flags)
    foreach(used IN LISTS room_USES)
        target_link_libraries(mmoe_${name} PUBLIC mmoe_${used})
    endforeach()
    set_property(TARGET mmoe_${name} PROPERTY MMOE_USES ${room_USES})
    set_property(GLOBAL APPEND PROPERTY MMOE_ROOMS mmoe_${name})
endfunction()

# The named rooms and, transitively, every room that they use: what an executable must link.
function(mmoe_room_closure result)
    set(closure "")
    set(open ${ARGN})
    while(open)
        list(POP_FRONT open room)
        if(NOT room IN_LIST closure)
            list(APPEND closure ${room})
            get_property(used TARGET mmoe_${room} PROPERTY MMOE_USES)
            list(APPEND open ${used})
        endif()
    endwhile()
    list(TRANSFORM closure PREPEND mmoe_)
    set(${result} ${closure} PARENT_SCOPE)
endfunction()
