# Installs the library for CMake, pkg-config and package managers. Components: runtime (what a
# program needs to run), development (header, link name, package files), tools.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/marlin_moe)

install(TARGETS marlin_moe EXPORT marlin_moe_targets
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
set(MMOE_HAS_STATIC OFF)
if(TARGET marlin_moe_static)
    set(MMOE_HAS_STATIC ON)
    install(TARGETS marlin_moe_static EXPORT marlin_moe_static_targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
    install(EXPORT marlin_moe_static_targets FILE marlin_moeStaticTargets.cmake
            NAMESPACE marlin_moe:: DESTINATION ${package_dir} COMPONENT development)
endif()
install(FILES include/marlin_moe.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(FILES LICENSE lib/package/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
if(TARGET mmoe)
    install(TARGETS mmoe RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
    install(FILES docs/man/mmoe.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
endif()
install(FILES docs/man/libmarlin_moe.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7
        COMPONENT development)

# find_package(marlin_moe [COMPONENTS static]): see marlin_moeConfig.cmake.in. While the major version is 0, a minor
# version may break.
install(EXPORT marlin_moe_targets FILE marlin_moeTargets.cmake NAMESPACE marlin_moe::
        DESTINATION ${package_dir} COMPONENT development)
configure_package_config_file(lib/package/marlin_moeConfig.cmake.in
    ${PROJECT_BINARY_DIR}/marlin_moeConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/marlin_moeConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/marlin_moeConfig.cmake
              ${PROJECT_BINARY_DIR}/marlin_moeConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT development)

# pkg-config: the prefix is found from the file's own place, so that the tree can be moved.
file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
set(pc_private "-lstdc++ -lm -pthread")
foreach(system_library IN LISTS MMOE_SYSTEM_LIBRARIES)
    string(APPEND pc_private " -l${system_library}")
endforeach()
if(MMOE_HAVE_CUDA)
    get_target_property(pc_cudart CUDA::cudart_static IMPORTED_LOCATION)
    string(APPEND pc_private " ${pc_cudart} -ldl -lrt")
endif()
configure_file(lib/package/marlin_moe.pc.in ${PROJECT_BINARY_DIR}/marlin_moe.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/marlin_moe.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

include(lib/package/cpack.cmake)
