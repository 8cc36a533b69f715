# Makes one C table of the numbered migrations.
#   cmake -DOUT=file.c -DFILES="a.sql;b.sql" -P embed_sql.cmake
# Bytes, not string literals: those may be no longer than 4095 characters in standard C.
set(arrays "")
set(rows "")
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME_WE)
  if(NOT name MATCHES "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)$")
    message(FATAL_ERROR "${file}: a migration is called NNNN_name.sql")
  endif()
  set(digits "${CMAKE_MATCH_1}")
  string(REGEX REPLACE "^0+" "" number "${digits}")
  file(SHA256 "${file}" digest)
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND arrays "static const unsigned char sql_${digits}[] = {${bytes}0x00};\n")
  string(APPEND rows "    {${number}, \"${name}\", (const char *)sql_${digits}, \"${digest}\"},\n")
endforeach()
file(WRITE "${OUT}.new" "#include \"schemas/sql/migrations.h\"\n
${arrays}
const struct sql_migration sql_migrations[] = {
${rows}    {0, NULL, NULL, NULL},
};
")
file(COPY_FILE "${OUT}.new" "${OUT}" ONLY_IF_DIFFERENT)
file(REMOVE "${OUT}.new")
