#!/usr/bin/env -S node --max-semi-space-size=4 --heap-growing-percent=40
import { enableCompileCache } from "node:module"

// What was compiled, and stripped of its types, is kept for the next start: a third of the time. So nothing else may be
// imported before; and this file is plain JavaScript, since what strips types is 30 MB of WebAssembly.
enableCompileCache()
await import("./commands.ts")
