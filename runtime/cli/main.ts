#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=50
import { enableCompileCache } from "node:module"

// What was compiled, and stripped of its types, is kept for the next start: a third of the time. So nothing else may be
// imported before.
enableCompileCache()
await import("./commands.ts")
