# Installs the build tree into a scratch prefix, moves the prefix, and builds and runs consumers
# against it.
#     cmake -D BUILD_DIR=… -D SOURCE_DIR=… -D SCRATCH=… -D CC=… -D PKG_CONFIG=… -P install_test.cmake
include(${CMAKE_CURRENT_LIST_DIR}/consumers.cmake)
file(REMOVE_RECURSE ${SCRATCH})
step(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${SCRATCH}/first)
file(RENAME ${SCRATCH}/first ${SCRATCH}/moved)
try_consumers(${SCRATCH}/moved)
