# Run by cpack when the components of a Debian package are installed and not yet packed: gives each
# what Debian's policy wants of it, a copyright file, a changelog, and compressed man pages.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
    return()
endif()
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)  # heeds SOURCE_DATE_EPOCH

foreach(component IN ITEMS RUNTIME DEVELOPMENT TOOLS)
    string(TOLOWER ${component} folder)
    set(share ${CPACK_TEMPORARY_DIRECTORY}/${folder}/usr/share)
    if(NOT EXISTS ${CPACK_TEMPORARY_DIRECTORY}/${folder})
        continue()  # the tools were not built
    endif()
    file(REMOVE_RECURSE ${share}/doc)
    set(doc ${share}/doc/${CPACK_DEBIAN_${component}_PACKAGE_NAME})
    configure_file(${CMAKE_CURRENT_LIST_DIR}/copyright ${doc}/copyright COPYONLY)
    file(WRITE ${doc}/changelog "marlin-moe (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium

  * What changed is said in CHANGELOG.md of the sources.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
    file(GLOB pages ${share}/man/*/*.[1-9])
    execute_process(COMMAND gzip -9 -n ${doc}/changelog ${pages} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
