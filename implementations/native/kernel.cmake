# add_kernel(<target> BINDING <binding.cpp> KERNEL <kernel.cpp>... HEADERS <h>...)
#
# Builds the nanobind module `_native` of the folder it is called in. Each KERNEL source is compiled once per dispatch level
# with LEVEL defined (baseline, avx2, avx512, neon), into a namespace of that name; the binding picks one at run time.
# Exact kernels: no FMA contraction, no fast-math, at every level.
set(NATIVE_HEADERS "${CMAKE_CURRENT_LIST_DIR}")

function(add_kernel target)
  cmake_parse_arguments(ARG "" "BINDING" "KERNEL;HEADERS" ${ARGN})

  # The hash of the sources travels in the module, so that a stale build can be told from a current one.
  # HARNESS_SOURCES lists what is hashed, in order, relative to this folder.
  set(sources ${ARG_BINDING} ${ARG_KERNEL} ${ARG_HEADERS})
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

  # NOMINSIZE: for speed, like the kernels; nanobind builds for size otherwise.
  nanobind_add_module(${target} NB_STATIC NOMINSIZE ${ARG_BINDING})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME _native)
  target_include_directories(${target} PRIVATE "${NATIVE_HEADERS}" "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_definitions(${target} PRIVATE "SOURCE_HASH=\"${source_hash}\"" "SOURCE_LIST=\"${source_list}\"")
  target_compile_options(${target} PRIVATE -ffp-contract=off)
  target_link_libraries(${target} PRIVATE Threads::Threads)

  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
    set(levels baseline avx2 avx512)
    set(flags_baseline "")
    set(flags_avx2 -mavx2 -mfma)
    set(flags_avx512 -mavx2 -mfma -mavx512f -mavx512dq -mavx512bw -mavx512vl -mprefer-vector-width=512)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
    set(levels baseline neon)
    set(flags_baseline "")
    set(flags_neon "")
  else()
    set(levels baseline)
    set(flags_baseline "")
  endif()
  foreach(level IN LISTS levels)
    add_library(${target}_${level} OBJECT ${ARG_KERNEL})
    target_compile_definitions(${target}_${level} PRIVATE LEVEL=${level} "LEVEL_${level}=1")
    target_include_directories(${target}_${level} PRIVATE "${NATIVE_HEADERS}" "${CMAKE_CURRENT_SOURCE_DIR}")
    target_compile_options(${target}_${level} PRIVATE -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off ${flags_${level}})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${level}>)
    target_compile_definitions(${target} PRIVATE "HAS_LEVEL_${level}=1")
  endforeach()

  # The folder of the package inside the wheel is the folder of the sources.
  file(RELATIVE_PATH package "${CMAKE_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  install(TARGETS ${target} LIBRARY DESTINATION "${package}")
endfunction()
