# fathom_target(NAME): our warnings, sanitizers and include paths.
# fathom_layer(NAME LINK ...): static library fathom_NAME from src/NAME/*.c.

set(FATHOM_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wnull-dereference)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND FATHOM_WARNINGS -Wlogical-op -Wduplicated-cond -Wno-null-dereference)
endif()

function(fathom_target name)
  target_compile_options(${name} PRIVATE ${FATHOM_WARNINGS} -ffp-contract=off -fno-math-errno)
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  if(FATHOM_WERROR)
    target_compile_options(${name} PRIVATE -Werror)
  endif()
  if(FATHOM_SANITIZE)
    target_compile_options(${name} PUBLIC -fsanitize=${FATHOM_SANITIZE} -fno-sanitize-recover=all
                                          -fno-omit-frame-pointer)
    target_link_options(${name} PUBLIC -fsanitize=${FATHOM_SANITIZE})
  endif()
  if(FATHOM_FUZZ)
    target_compile_options(${name} PUBLIC -fsanitize=fuzzer-no-link)
  endif()
endfunction()

function(fathom_layer name)
  cmake_parse_arguments(layer "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.c)
  if(sources)
    add_library(fathom_${name} STATIC ${sources})
    fathom_target(fathom_${name})
    target_link_libraries(fathom_${name} PUBLIC ${layer_LINK})
  else()
    add_library(fathom_${name} INTERFACE)
    target_link_libraries(fathom_${name} INTERFACE ${layer_LINK})
  endif()
endfunction()
