import { setImmediate, setTimeout as sleep } from "node:timers/promises"
import { Pings } from "./pings.ts"
import type { ObserverQuestions, Pinged } from "./questions.ts"
import { answering, nowMillis } from "./remote.ts"
import { Timeline } from "./timeline.ts"
import { Wire } from "./wire.ts"

/** Runs where the LAN's switches are. Argument: the client's network namespace, from which it pings. */
const asks = new Map<string, Timeline>()
const wire = new Wire((address, { what, side, at }) => {
  if (what === "answer" && side === "a") asks.get(address)?.answeredAll(at)
})
const pings = new Pings(process.argv[2]!)

/** Address → how it is watched. */
const watched = new Map<string, ReadonlyArray<NodeJS.Timeout>>()
const unwatch = (address: string): void => {
  for (const timer of watched.get(address) ?? []) clearInterval(timer)
  watched.delete(address)
}

const timelineOf = (address: string): Timeline => {
  const timeline = asks.get(address) ?? new Timeline()
  asks.set(address, timeline)
  return timeline
}
const never: Pinged = { sent: 0, lost: 0, open: 0, longestGapMillis: 0, stalledMillis: 0 }
/** Questions for this many addresses are on the wire before answers are taken in. */
const askedAtOnce = 64

answering<ObserverQuestions>({
  ask: async ({ addresses, side, waitMillis }) => {
    const mark = nowMillis()
    for (let index = 0; index < addresses.length; index += askedAtOnce) {
      wire.ask(addresses.slice(index, index + askedAtOnce), side)
      wire.drain()
      // Pings are sent and answered meanwhile.
      await setImmediate()
    }
    await sleep(waitMillis)
    wire.drain()
    return addresses.map((address) => {
      const frames = framesSince(address, mark).filter((one) => one.what === "answer" && one.side === side)
      return [address, [...new Set(frames.map(({ mac }) => mac))]]
    })
  },
  frames: ({ addresses, since }) => {
    wire.drain()
    return addresses.map((address) => framesSince(address, since))
  },
  watch: ({ addresses, pingEveryMillis, askEveryMillis }) => {
    const every = (millis: number, action: () => void) => (millis > 0 ? [setInterval(action, millis)] : [])
    for (const address of addresses) {
      unwatch(address)
      watched.set(address, [
        ...every(pingEveryMillis, () => pings.send(address)),
        ...every(askEveryMillis, () => {
          timelineOf(address).sent(nowMillis())
          wire.ask([address], "a")
        })
      ])
    }
    return null
  },
  unwatch: ({ addresses }) => {
    for (const address of addresses) unwatch(address)
    return null
  },
  pinged: ({ by, addresses, since }) => {
    wire.drain()
    const timelines = by === "ping" ? pings.timelines : asks
    return addresses.map((address) => timelines.get(address)?.since(since, nowMillis()) ?? never)
  },
  seen: () => {
    wire.drain()
    return { frames: wire.seen, lost: wire.losses() }
  },
  sleep: ({ millis, roomBytes }) => {
    wire.makeRoom(roomBytes)
    for (const address of watched.keys()) pings.send(address)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
    return null
  }
})

function framesSince(address: string, since: number) {
  const frames = wire.frames.get(address) ?? []
  let first = frames.length
  while (first > 0 && frames[first - 1]!.at >= since) first--
  return frames.slice(first)
}
