"""Code generation: scheduled graph in, LLVM IR and native code out."""
