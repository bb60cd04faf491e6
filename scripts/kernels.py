#!/usr/bin/env python3
"""Compiles kernels/*.cu with NVRTC, without a GPU: the PTX that ships, and a table of what each kernel needs on each architecture.

    scripts/kernels.sh            installs NVRTC in a virtual environment and runs this

--ptx     write kernels/mistilt.ptx alone: quick, while a kernel is being worked on
--check   fail if a kernel does not compile, spills registers, keeps a stack frame or draws a warning, or if the table or PTX is stale
--assemble  assemble the shipped PTX, as a driver does, for cards from Ampere to Blackwell
--write   write kernels/table.md and kernels/mistilt.ptx anew
"""
import ctypes
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KERNELS = os.path.join(ROOT, "kernels")
TABLE, PTX = os.path.join(KERNELS, "table.md"), os.path.join(KERNELS, "mistilt.ptx")
ARCHITECTURES = ["sm_80", "sm_90"]
# As src/multislice/cuda/source.rs has it.
OPTIONS = ["--std=c++17", "--fmad=false"]


def sources(names=None):
    """Kernels, all of them or some, as one translation unit: headers stand where they are first included, each once. As source.rs does it."""
    done, out = set(), []

    def take(name):
        if name in done:
            return
        done.add(name)
        with open(os.path.join(KERNELS, name), encoding="utf-8") as file:
            for line in file:
                found = re.match(r'#include "(.*)"', line)
                if found:
                    take(found.group(1))
                else:
                    out.append(line)

    for name in names or sorted(os.path.basename(path) for path in glob.glob(os.path.join(KERNELS, "*.cu"))):
        take(name)
    return "".join(out)


def mark(text):
    """FNV-1a, 64 bits: enough to see that a file changed. As source.rs has it."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


class Nvrtc:
    def __init__(self):
        import nvidia.cuda_nvrtc

        folder = os.path.join(list(nvidia.cuda_nvrtc.__path__)[0], "lib")
        # The builtins first: NVRTC looks for them by name only.
        for path in sorted(glob.glob(os.path.join(folder, "libnvrtc-builtins.so*"))):
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(sorted(glob.glob(os.path.join(folder, "libnvrtc.so*")))[0])
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        self.version = f"{major.value}.{minor.value}"

    def text(self, size, get, program):
        length = ctypes.c_size_t()
        size(program, ctypes.byref(length))
        buffer = ctypes.create_string_buffer(length.value)
        get(program, buffer)
        return buffer.raw[: max(length.value - 1, 0)].decode("utf-8", "replace")

    def compile(self, source, options):
        """(PTX, log); exits with the log where the compiler refuses."""
        library, program = self.library, ctypes.c_void_p()
        library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"mistilt.cu", 0, None, None)
        array = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
        failed = library.nvrtcCompileProgram(program, len(options), array)
        log = self.text(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog, program)
        if failed:
            sys.exit(f"NVRTC refuses the kernels ({' '.join(options)}):\n{log}")
        ptx = self.text(library.nvrtcGetPTXSize, library.nvrtcGetPTX, program)
        library.nvrtcDestroyProgram(ctypes.byref(program))
        return ptx, log


def resources(log):
    """{kernel: (registers, static shared bytes)} and complaints of one compilation."""
    found, complaints, entry = {}, [], ""
    for line in log.splitlines():
        if match := re.search(r"entry function '(\w+)'", line):
            entry = match.group(1)
        if match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            if match.groups() != ("0", "0", "0"):
                complaints.append(f"{entry}: {line.strip()}")
        if match := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            found[entry] = (int(match.group(1)), int(shared.group(1)) if shared else 0)
        if "warning" in line:
            complaints.append(line.strip())
    return found, complaints


# The fused kernel as it is compiled at run time for one size: name, definitions.
SPECIAL = {
    "fused_slices 80×80": ["-DFUSED_NX=80", "-DFUSED_NY=80", "-DFUSED_RX=8,10,1,1", "-DFUSED_RY=8,10,1,1", "-DFUSED_THREADS=256"],
    "fused_slices 128×128": ["-DFUSED_NX=128", "-DFUSED_NY=128", "-DFUSED_RX=8,16,1,1", "-DFUSED_RY=8,16,1,1", "-DFUSED_THREADS=512"],
}


def assemble():
    """The PTX through ptxas, whose newest version a driver of today holds."""
    import nvidia.cuda_nvcc

    ptxas = os.path.join(list(nvidia.cuda_nvcc.__path__)[0], "bin", "ptxas")
    for architecture in ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]:
        made = subprocess.run([ptxas, f"-arch={architecture}", "-v", PTX, "-o", os.devnull], capture_output=True, text=True)
        spills = [n for n in re.findall(r"(\d+) bytes spill stores", made.stderr) if n != "0"]
        registers = max(map(int, re.findall(r"Used (\d+) registers", made.stderr)), default=0)
        if made.returncode or spills or not registers:
            sys.exit(f"{architecture}: {made.stderr}")
        print(f"{architecture}: assembles, no spills, {registers} registers at most")


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else "--check"
    if mode == "--assemble":
        return assemble()
    nvrtc, source, complaints = Nvrtc(), sources(), []
    ptx, _ = nvrtc.compile(source, ["--gpu-architecture=compute_80", *OPTIONS])
    ptx = f"// sources {mark(source)}\n" + ptx
    if mode == "--ptx":
        with open(PTX, "w", encoding="utf-8") as file:
            file.write(ptx)
        return
    columns, names = {}, []
    for architecture in ARCHITECTURES:
        options = [f"--gpu-architecture={architecture}", "--ptxas-options=-v", *OPTIONS]
        found, wrong = resources(nvrtc.compile(source, options)[1])
        complaints += [f"{architecture}: {w}" for w in wrong]
        for name, definitions in SPECIAL.items():
            special, wrong = resources(nvrtc.compile(sources(["fused_slices.cu"]), options + definitions)[1])
            complaints += [f"{architecture}, {name}: {w}" for w in wrong]
            found[name] = special["fused_slices"]
        columns[architecture] = found
        names = list(found)
    table = f"Registers a thread / static shared memory a block (bytes), NVRTC {nvrtc.version}; no kernel spills or keeps a stack frame.\n\n"
    table += "| kernel | " + " | ".join(ARCHITECTURES) + " |\n|---|" + "---|" * len(ARCHITECTURES) + "\n"
    for name in sorted(names):
        table += f"| `{name}` | " + " | ".join(f"{columns[a][name][0]} / {columns[a][name][1]}" for a in ARCHITECTURES) + " |\n"
    for path, text in [(TABLE, table), (PTX, ptx)]:
        if mode == "--write":
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        else:
            known = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
            if known != text:
                complaints.append(f"{os.path.relpath(path, ROOT)} is stale: run scripts/kernels.sh --write")
    print(table)
    if complaints:
        sys.exit("\n".join(complaints))


main()
