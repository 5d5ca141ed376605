import { execFileSync } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import koffi from "koffi"
import { Kernel, type KernelEvent } from "./kernel.ts"
import { PacketSocket } from "./packets.ts"
import { Poller } from "./poller.ts"

const libc = koffi.load(null)
const setns = libc.func("int setns(int fd, int type)") as (fd: number, type: number) => number
const unshare = libc.func("int unshare(int flags)") as (flags: number) => number
const CLONE_NEWNET = 0x40000000

/** A network namespace; lives as long as this process, and whatever is made in it stays in it. */
export interface Namespace {
  /** A path by which `ip link set … netns` finds it. */
  readonly path: string
  /** Does something there: programs that are started and sockets that are opened meanwhile are in it. */
  readonly inside: <A>(act: () => A) => A
}

const namespaceOf = (): { readonly fd: number; readonly path: string } => {
  const fd = openSync("/proc/thread-self/ns/net", "r")
  return { fd, path: `/proc/${process.pid}/fd/${fd}` }
}

/** The one that this process is in; it must have been started in one of its own (`unshare -n`). */
export const own: Namespace = { path: namespaceOf().path, inside: (act) => act() }

export const another = (): Namespace => {
  const home = openSync("/proc/thread-self/ns/net", "r")
  if (unshare(CLONE_NEWNET) !== 0) throw new Error("no network namespace can be made here")
  const made = namespaceOf()
  setns(home, CLONE_NEWNET)
  closeSync(home)
  return {
    path: made.path,
    inside: (act) => {
      const back = openSync("/proc/thread-self/ns/net", "r")
      setns(made.fd, CLONE_NEWNET)
      try {
        return act()
      } finally {
        setns(back, CLONE_NEWNET)
        closeSync(back)
      }
    }
  }
}

/** Runs lines of shell; answers with what they printed. */
export const sh = (lines: string, input?: string): string =>
  execFileSync("sh", ["-ec", lines], { encoding: "utf8", stdio: ["pipe", "pipe", "inherit"], input })

interface ShownLink {
  readonly ifindex: number
  readonly address: string
}
export const linkIn = (
  namespace: Namespace,
  name: string
): { readonly index: number; readonly mac: string } => {
  const [shown] = namespace.inside(() => JSON.parse(sh(`ip -j link show dev ${name}`))) as [ShownLink]
  return { index: shown.ifindex, mac: shown.address }
}

/** A cable between `here` in this namespace and `there` in the other one; both ends are up, without addresses but link-local ones. */
export const cable = (here: string, there: string, to: Namespace): void => {
  sh(`ip link add ${here} type veth peer name ${there} netns "${to.path}"; ip link set ${here} up`)
  to.inside(() => sh(`ip link set ${there} up`))
}

export const mark = 0x65
export const poller = new Poller()

/** A kernel, and all that it has told so far. */
export const openKernel = (): { readonly kernel: Kernel; readonly events: Array<KernelEvent> } => {
  const events: Array<KernelEvent> = []
  return { kernel: Kernel.open({ mark, poller, onEvent: (event) => events.push(event) }), events }
}

/** A packet socket, and every frame that it has received so far. */
export const listen = (
  namespace: Namespace,
  name: string
): {
  readonly socket: PacketSocket
  readonly mac: string
  readonly index: number
  readonly frames: Array<Buffer>
} => {
  const { index, mac } = linkIn(namespace, name)
  const socket = namespace.inside(() => PacketSocket.open(index))
  const frames: Array<Buffer> = []
  for (const fd of socket.fds)
    poller.add(fd, () => socket.receive((frame) => frames.push(Buffer.from(frame))))
  return { socket, mac, index, frames }
}

/** This namespace with a link, `eth0`, whose other end is `peer0` in another one, and the kernel between. */
export const node = () => {
  const peer = another()
  cable("eth0", "peer0", peer)
  return { peer, ...linkIn(own, "eth0"), ...openKernel() }
}

export const thousand = Array.from({ length: 1_000 }, (_, index) => `10.1.${index >> 8}.${index & 255}`)
