import { describe, expect, it, vi } from "@effect/vitest"
import { announceFrames } from "./kernel/frames.ts"
import { PacketSocket } from "./kernel/packets.ts"
import { openLan, wireThat } from "./lan.fixture.ts"
import { address, other } from "./surroundings.fixture.ts"

describe("a LAN", () => {
  it("that was asked for one address twice keeps nothing of it", async () => {
    let receive: Buffer | undefined
    vi.spyOn(PacketSocket, "open").mockReturnValue({
      fds: [],
      send: (all: ReadonlyArray<unknown>) => all.length,
      receive: (each: (f: Buffer) => void) => {
        if (receive) each(receive)
      },
      close: () => undefined
    } as never)
    const lan = openLan()
    const original = Array.prototype.push
    await lan.askMachines(["172.17.0.1", "172.17.0.1"], { probes: 1, gapMillis: 1 })
    receive = announceFrames("172.17.0.1", other, { term: 1, taken: false, released: false })[0]!
    let pushed = 0
    Array.prototype.push = function (...args: Array<unknown>) {
      if ((args[0] as { what?: string } | undefined)?.what === "has") pushed++
      return original.apply(this, args)
    }
    try {
      for (let i = 0; i < 1000; i++) lan.drain()
    } finally {
      Array.prototype.push = original
    }
    vi.restoreAllMocks()
    expect(pushed).toBe(0)
  })

  it("that is closed while the last answers are awaited has not been asked", async () => {
    wireThat()
    const lan = openLan()
    const asked = lan.ask([address], { probes: 2, gapMillis: 20 })
    setTimeout(() => lan.close(), 30)
    vi.restoreAllMocks()
    await expect(asked).rejects.toThrow("gone")
  })
})
