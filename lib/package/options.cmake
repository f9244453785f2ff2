# What a builder may choose. Defaults of a dependency are those of a guest: library only.
option(BUILD_SHARED_LIBS "Build libmarlin_moe as a shared library" ON)
option(MMOE_STATIC "Beside the shared library, make and install the static one" ${PROJECT_IS_TOP_LEVEL})
set(MMOE_CUDA AUTO CACHE STRING "CUDA backend: AUTO (if a toolkit is found), ON or OFF")
set_property(CACHE MMOE_CUDA PROPERTY STRINGS AUTO ON OFF)
option(MMOE_CUDA_RELEASE "Machine code for every CUDA chip that the toolkit knows" OFF)
option(MMOE_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(MMOE_BUILD_TOOLS "Build the mmoe tool and the examples" ${PROJECT_IS_TOP_LEVEL})
option(MMOE_BUILD_DOCS "Build the Doxygen site" OFF)
option(MMOE_INSTALL "Install the library and make packages" ${PROJECT_IS_TOP_LEVEL})
option(MMOE_WERROR "Warnings in our code are errors" ${PROJECT_IS_TOP_LEVEL})
set(MMOE_SANITIZE "" CACHE STRING "Sanitizers, such as address,undefined or thread")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

find_path(MMOE_NLOHMANN_JSON_INCLUDE nlohmann/json.hpp REQUIRED
          DOC "Folder of nlohmann/json.hpp (Debian: nlohmann-json3-dev)")
find_path(MMOE_XXHASH_INCLUDE xxhash.h REQUIRED
          DOC "Folder of xxhash.h, used header-only (Debian: libxxhash-dev)")
