# Debian 12's libraries, each as an imported target pkg::NAME.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(th_package name module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
  add_library(pkg::${name} ALIAS PkgConfig::${name})
endfunction()

th_package(jansson jansson)
th_package(crypto libcrypto)
th_package(lz4 liblz4)
th_package(pq libpq)
th_package(curl libcurl)
th_package(microhttpd libmicrohttpd)
if(TELEHUB_TESTS)
  th_package(cmocka cmocka)
  th_package(avro avro-c)
endif()
