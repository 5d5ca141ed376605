import { vi } from "vitest"
import { PacketSocket } from "./kernel/packets.ts"
import { Lan } from "./lan.ts"
import { mine } from "./surroundings.fixture.ts"

/** What is sent from now on is answered by this; restored with all mocks. Without it nobody answers. */
export const wireThat = (answer: (frame: Buffer) => Buffer | undefined = () => undefined): void => {
  const due: Array<Buffer> = []
  vi.spyOn(PacketSocket, "open").mockReturnValue({
    fds: [],
    send: (all: ReadonlyArray<Buffer>) => {
      due.push(...all.map(answer).filter((frame) => frame !== undefined))
      return all.length
    },
    receive: (each: (frame: Buffer) => void) => {
      for (const one of due.splice(0)) each(one)
    },
    close: () => undefined
  } as never)
}

/** A link of this node, on that wire. */
export const openLan = (): Lan =>
  new Lan({
    index: 1,
    link: { name: "eth0", mac: mine },
    poller: undefined as never,
    hear: () => undefined,
    isOwn: () => false
  })
