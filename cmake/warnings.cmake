# th_warnings: how every one of our targets is compiled. Link it PRIVATE.
add_library(th_warnings INTERFACE)
target_compile_definitions(th_warnings INTERFACE _GNU_SOURCE)
target_compile_options(
  th_warnings
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wconversion
            -Wshadow
            -Wmissing-prototypes
            -Wswitch-enum
            -Wvla
            -Wformat=2
            $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation> # a long text is cut, on purpose
            -Werror
            -fno-common
            -fstack-protector-strong)
target_include_directories(th_warnings INTERFACE ${PROJECT_SOURCE_DIR})

# -DTELEHUB_SANITIZE=address,undefined (preset dev) or thread (preset tsan).
set(TELEHUB_SANITIZE "" CACHE STRING "Sanitizers for everything, e.g. address,undefined")
if(TELEHUB_SANITIZE)
  add_compile_options(-fsanitize=${TELEHUB_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  # Clang counts NULL + 0 (an empty view) among the overflows; gcc does not, and C2y defines it.
  add_compile_options($<$<C_COMPILER_ID:Clang>:-fno-sanitize=pointer-overflow>)
  add_link_options(-fsanitize=${TELEHUB_SANITIZE})
endif()
