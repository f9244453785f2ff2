# Makes what a release would ship, and uses it: the tarball unpacked somewhere, and the Debian
# packages (where dpkg-deb is; DPKG_DEB false: it is not) unpacked over each other as dpkg would. The
# packages stay in SCRATCH/packages for debian_test.py.
#     cmake -D BUILD_DIR=… -D SOURCE_DIR=… -D SCRATCH=… -D CC=… -D PKG_CONFIG=… -D CPACK=… -D DPKG_DEB=…
#           -P cpack_test.cmake
include(${CMAKE_CURRENT_LIST_DIR}/consumers.cmake)
file(REMOVE_RECURSE ${SCRATCH})

# pack(<generator> <result>): the files that it makes.
function(pack generator result)
    step(${CPACK} --config ${BUILD_DIR}/CPackConfig.cmake -G ${generator} -B ${SCRATCH}/${generator})
    file(GLOB made ${SCRATCH}/${generator}/marlin_moe-*.tar.gz ${SCRATCH}/${generator}/*.deb)
    file(COPY ${made} DESTINATION ${SCRATCH}/packages)
    file(REMOVE_RECURSE ${SCRATCH}/${generator})
    file(GLOB made ${SCRATCH}/packages/*)
    set(${result} ${made} PARENT_SCOPE)
endfunction()

# try_tree(<prefix>): consumers, and the tool if it is there.
function(try_tree prefix)
    try_consumers(${prefix})
    if(EXISTS ${prefix}/bin/mmoe)
        step(${prefix}/bin/mmoe info)
    endif()
endfunction()

pack(TGZ tarball)
file(ARCHIVE_EXTRACT INPUT ${tarball} DESTINATION ${SCRATCH}/unpacked)
file(GLOB folder ${SCRATCH}/unpacked/*)
file(RENAME ${folder} ${SCRATCH}/elsewhere)
try_tree(${SCRATCH}/elsewhere)

if(NOT DPKG_DEB)
    message("dpkg-deb is not installed: no Debian package was made")
    return()
endif()
file(REMOVE ${tarball})
pack(DEB packages)
foreach(package IN LISTS packages)
    step(${DPKG_DEB} --extract ${package} ${SCRATCH}/root)
endforeach()
try_tree(${SCRATCH}/root/usr)
