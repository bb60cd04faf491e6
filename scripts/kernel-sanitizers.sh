#!/usr/bin/env bash
# The kernels on the processor under AddressSanitizer (steps beyond an array) and ThreadSanitizer (threads of a block that touch one place
# without a barrier between them), with bugs planted to see that both are seen. Needs Linux and g++; ends with 3 where they are not there.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v g++ >/dev/null && command -v setarch >/dev/null || { echo 'g++ and setarch are needed'; exit 3; }
program=$(cargo test --release --test it --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/it-[^"]*\)".*/\1/p' | tail -1)
[ -n "$program" ] || { echo 'the tests do not build'; exit 1; }

suppressions=$(mktemp)
trap 'rm -f "$suppressions"' EXIT
# Rust's own code is not instrumented: what it orders by its locks, the sanitizer cannot see.
printf 'race:_RN*\nrace:_ZN*\n' >"$suppressions"
for sanitizer in address thread; do
    library=$(g++ -print-file-name="lib${sanitizer:0:1}san.so")
    [ -e "$library" ] || { echo "g++ has no $sanitizer sanitizer"; exit 3; }
    printf '\n-- %s\n' "$sanitizer"
    # Fixed addresses, since ThreadSanitizer's map does not fit every random one; fibers take signals on their own stacks.
    MISTILT_SANITIZER=$sanitizer CXX=g++ LD_PRELOAD=$library \
        ASAN_OPTIONS=detect_leaks=0:use_sigaltstack=0 \
        TSAN_OPTIONS="suppressions=$suppressions:halt_on_error=1:exitcode=66:report_signal_unsafe=0:history_size=4" \
        setarch -R "$program" --test-threads=1 cuda::kernels cuda::shim cuda::engine::the_order
done
