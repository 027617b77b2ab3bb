# add_kernel(<target> BINDING <binding.cpp> [KERNEL <kernel.cpp>...] HEADERS <h>... [SOURCES <cpp>...] [LEVELS <level>...] [CONTRACT])
#
# Builds the nanobind module `_native` of the folder it is called in, of the binding and what add_levels makes of the rest.
#
# add_levels(<target> [KERNEL <kernel.cpp>...] [SOURCES <cpp>...] [LEVELS <level>...] [CONTRACT])
#
# Each KERNEL source is compiled once per dispatch level with LEVEL defined (baseline, avx2, avx512, neon), into a namespace of that name;
# who links the objects picks one at run time: by_level.hpp. SOURCES are compiled once, for every processor. LEVELS adds levels beyond
# those every kernel has: avx512_vnni, avx512_bf16. Exact kernels: no FMA contraction, no fast-math, at every level. CONTRACT, for kernels
# whose parity is a bound, lets the compiler fuse a product and a sum. Needs no Python. The objects are left in <target>_objects.
set(NATIVE_HEADERS "${CMAKE_CURRENT_LIST_DIR}")

function(add_levels target)
  cmake_parse_arguments(ARG "CONTRACT" "" "KERNEL;SOURCES;LEVELS" ${ARGN})
  set(contract -ffp-contract=off)
  if(ARG_CONTRACT)
    set(contract -ffp-contract=fast)
  endif()
  if(NOT ARG_KERNEL)
    set(levels "") # nothing that a vector unit would make faster
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
    set(levels baseline avx2 avx512)
    set(flags_baseline "")
    set(flags_avx2 -mavx2 -mfma -mf16c)
    set(flags_avx512 ${flags_avx2} -mavx512f -mavx512dq -mavx512bw -mavx512vl -mprefer-vector-width=512)
    set(flags_avx512_vnni ${flags_avx512} -mavx512vnni)
    set(flags_avx512_bf16 ${flags_avx512_vnni} -mavx512bf16)
    list(APPEND levels ${ARG_LEVELS})
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
    set(levels baseline neon)
    set(flags_baseline "")
    set(flags_neon "")
  else()
    set(levels baseline)
    set(flags_baseline "")
  endif()
  set(objects "")
  if(ARG_SOURCES)
    add_library(${target}_common OBJECT ${ARG_SOURCES})
    target_include_directories(${target}_common PRIVATE "${NATIVE_HEADERS}" "${CMAKE_CURRENT_SOURCE_DIR}")
    target_compile_options(${target}_common PRIVATE -ffp-contract=off)
    list(APPEND objects $<TARGET_OBJECTS:${target}_common>)
  endif()
  foreach(level IN LISTS levels)
    add_library(${target}_${level} OBJECT ${ARG_KERNEL})
    target_compile_definitions(${target}_${level} PRIVATE LEVEL=${level} "LEVEL_${level}=1")
    target_include_directories(${target}_${level} PRIVATE "${NATIVE_HEADERS}" "${CMAKE_CURRENT_SOURCE_DIR}")
    target_compile_options(${target}_${level} PRIVATE -O3 -fno-math-errno -fno-trapping-math ${contract} ${flags_${level}})
    list(APPEND objects $<TARGET_OBJECTS:${target}_${level}>)
    target_compile_definitions(${target} PRIVATE "HAS_LEVEL_${level}=1")
    if(ARG_SOURCES)
      target_compile_definitions(${target}_common PRIVATE "HAS_LEVEL_${level}=1")
    endif()
  endforeach()
  set(${target}_objects ${objects} PARENT_SCOPE)
endfunction()

function(add_kernel target)
  cmake_parse_arguments(ARG "CONTRACT" "BINDING" "KERNEL;HEADERS;SOURCES;LEVELS" ${ARGN})
  set(contract "")
  if(ARG_CONTRACT)
    set(contract CONTRACT)
  endif()

  # The hash of the sources travels in the module, so that a stale build can be told from a current one.
  # HARNESS_SOURCES lists what is hashed, in order, relative to this folder.
  set(sources ${ARG_BINDING} ${ARG_KERNEL} ${ARG_HEADERS} ${ARG_SOURCES})
  file(GLOB shared RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" CONFIGURE_DEPENDS "${NATIVE_HEADERS}/*")
  list(APPEND sources CMakeLists.txt ${shared})
  list(SORT sources)
  set(digests "")
  foreach(source IN LISTS sources)
    get_filename_component(absolute "${source}" ABSOLUTE)
    if(NOT source MATCHES "[.]cmake$|CMakeLists.txt$") # those are dependencies anyway, and ninja refuses a second rule
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${absolute}")
    endif()
    file(SHA256 "${CMAKE_CURRENT_SOURCE_DIR}/${source}" digest)
    string(APPEND digests "${digest}")
  endforeach()
  string(SHA256 source_hash "${digests}")
  string(REPLACE ";" "," source_list "${sources}")

  # NOMINSIZE: for speed, like the kernels; nanobind builds for size otherwise. A domain each: two modules may name a type alike.
  nanobind_add_module(${target} NB_STATIC NB_DOMAIN ${target} NOMINSIZE ${ARG_BINDING})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME _native)
  target_include_directories(${target} PRIVATE "${NATIVE_HEADERS}" "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_definitions(${target} PRIVATE "SOURCE_HASH=\"${source_hash}\"" "SOURCE_LIST=\"${source_list}\"")
  target_compile_options(${target} PRIVATE -ffp-contract=off)
  target_link_libraries(${target} PRIVATE Threads::Threads)

  add_levels(${target} KERNEL ${ARG_KERNEL} SOURCES ${ARG_SOURCES} LEVELS ${ARG_LEVELS} ${contract})
  target_sources(${target} PRIVATE ${${target}_objects})
  set(${target}_objects ${${target}_objects} PARENT_SCOPE)

  # The folder of the package inside the wheel is the folder of the sources.
  file(RELATIVE_PATH package "${CMAKE_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  install(TARGETS ${target} LIBRARY DESTINATION "${package}")
endfunction()
