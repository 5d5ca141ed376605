import koffi from "koffi"

// The C library that Node itself is linked to, whichever it is.
const libc = koffi.load(null)

type Fd = number
/** A buffer, or the address of memory that was allocated outside of JavaScript. */
type Memory = Uint8Array | bigint

/** Plain system calls: -1 is a failure, and `errno()` tells which, if asked at once. */
export const socket: (domain: number, type: number, protocol: number) => Fd = libc.func(
  "int socket(int domain, int type, int protocol)"
)
export const bind: (fd: Fd, address: Memory, length: number) => number = libc.func(
  "int bind(int fd, const void *address, uint32_t length)"
)
export const close: (fd: Fd) => number = libc.func("int close(int fd)")
export const send: (fd: Fd, bytes: Memory, length: number, flags: number) => number = libc.func(
  "intptr_t send(int fd, const void *bytes, size_t length, int flags)"
)
export const recv: (fd: Fd, into: Memory, length: number, flags: number) => number = libc.func(
  "intptr_t recv(int fd, void *into, size_t length, int flags)"
)
export const sendmmsg: (fd: Fd, messages: Memory, count: number, flags: number) => number = libc.func(
  "int sendmmsg(int fd, void *messages, unsigned int count, int flags)"
)
export const recvmmsg: (fd: Fd, messages: Memory, count: number, flags: number, timeout: null) => number =
  libc.func("int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout)")
export const poll: (fds: Memory, count: number, timeoutMillis: number) => number = libc.func(
  "int poll(void *fds, unsigned long count, int timeoutMillis)"
)
export const setsockopt: (fd: Fd, level: number, option: number, value: Memory, length: number) => number =
  libc.func("int setsockopt(int fd, int level, int option, const void *value, uint32_t length)")
export const getsockopt: (fd: Fd, level: number, option: number, value: Memory, length: Memory) => number =
  libc.func("int getsockopt(int fd, int level, int option, void *value, void *length)")

export const errno = (): number => koffi.errno()

export const EPERM = 1
export const EINTR = 4
export const EAGAIN = 11
export const EACCES = 13
export const EEXIST = 17
export const EADDRNOTAVAIL = 99
export const ENETDOWN = 100
export const ENOBUFS = 105

const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]))
/** `EADDRNOTAVAIL` for 99 */
export const errnoName = (number: number): string => names.get(number) ?? `errno ${number}`

/** Memory for what the kernel reads by address. It does not move, and is there for as long as `bytes` is referred to. */
export interface Arena {
  readonly bytes: Buffer
  readonly address: bigint
}
export const arena = (length: number): Arena => {
  const bytes = Buffer.alloc(length)
  return { bytes, address: koffi.address(bytes) }
}

const SOL_SOCKET = 1
export const option = (fd: Fd, level: number, name: number, value: number): number => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return setsockopt(fd, level, name, bytes, 4)
}

/** Makes room for what comes in bursts: `bytes`, or as much as the host lets an ordinary user have. */
export const makeRoom = (fd: Fd, bytes: number): void => {
  const [SO_RCVBUF, SO_RCVBUFFORCE] = [8, 33]
  if (option(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) < 0) option(fd, SOL_SOCKET, SO_RCVBUF, bytes)
}

/** One step of a classic BPF program: code, jump if true, jump if false, operand. */
export type Step = readonly [code: number, jt: number, jf: number, k: number]

/** Lets the kernel drop what the program returns 0 for. */
export const attachFilter = (fd: Fd, program: ReadonlyArray<Step>): number => {
  const SO_ATTACH_FILTER = 26
  const steps = arena(program.length * 8)
  for (const [index, [code, jt, jf, k]] of program.entries()) {
    steps.bytes.writeUInt16LE(code, index * 8)
    steps.bytes.set([jt, jf], index * 8 + 2)
    steps.bytes.writeUInt32LE(k >>> 0, index * 8 + 4)
  }
  const header = Buffer.alloc(16)
  header.writeUInt16LE(program.length, 0)
  header.writeBigUInt64LE(steps.address, 8)
  const done = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, header, 16)
  // Said after the call, so that the steps are kept until then.
  return steps.bytes.length > 0 ? done : -1
}
