# Writes ${out}: one {"NAME", R"json"} initializer per configs/NAME.json, as C string literals.
# Run as a script: cmake -Ddirectory=configs -Dout=FILE -P embed_configs.cmake
file(GLOB files ${directory}/*.json)
list(SORT files)
set(text "")
foreach(file ${files})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} json)
  string(REPLACE "\\" "\\\\" json "${json}")
  string(REPLACE "\"" "\\\"" json "${json}")
  string(REPLACE "\n" "\\n\"\n     \"" json "${json}")
  string(APPEND text "    {\"${name}\",\n     \"${json}\"},\n")
endforeach()
file(WRITE ${out} "${text}")
