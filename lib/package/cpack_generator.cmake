# Read by cpack before each kind of package: a Debian package lies in /usr, a tree to unpack anywhere
# begins with bin, include and lib.
if(CPACK_GENERATOR STREQUAL "DEB")
    set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
endif()
