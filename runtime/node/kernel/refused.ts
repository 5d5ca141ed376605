import { EACCES, EPERM, errno, errnoName } from "./libc.ts"
import { KernelRefused } from "./types.ts"

/** Why a system call failed that needs a capability; to be asked right after it. */
export const refusal = (doing: string, capability: string, failed = errno()): KernelRefused =>
  failed === EPERM || failed === EACCES
    ? new KernelRefused(
        `${capability} is missing, so this process may not ${doing}: run it as root, or give its container the capabilities NET_ADMIN and NET_RAW`
      )
    : new KernelRefused(`the kernel does not let this process ${doing}: ${errnoName(failed)}`)
