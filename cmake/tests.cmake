# th_test(NAME library… [LABEL unit|integration|…] [TIMEOUT seconds])
#
# Builds NAME from NAME.c in the current folder, links cmocka and exactly the
# libraries named (so that a pure core that grows I/O stops linking), and
# registers it with ctest.
enable_testing()

function(th_test name)
  if(NOT TELEHUB_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${name}.c)
  target_link_libraries(${name} PRIVATE ${arg_UNPARSED_ARGUMENTS} pkg::cmocka th_warnings)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
endfunction()

# th_failing_malloc(NAME): the test includes tests/unit/failing_malloc.h.
function(th_failing_malloc name)
  if(TELEHUB_TESTS)
    target_link_options(${name} PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
                        -Wl,--wrap=reallocarray -Wl,--wrap=free)
  endif()
endfunction()
