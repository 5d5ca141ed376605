import { getEventListeners } from "node:events"
import { describe, expect, it, vi } from "vitest"
import { Standing } from "./standing.ts"

const open = (ask: () => Promise<void> = async () => undefined) =>
  new Standing({
    jsm: {
      streams: { info: async () => ({ created: "then", state: { first_seq: 1, last_seq: 7 } }) }
    } as never,
    lease: { isHeld: true, renew: ask },
    isConnected: () => true,
    end: () => ({ created: "then", sequence: 7, id: undefined }),
    signal: new AbortController().signal,
    broken: () => undefined
  })

describe("whether a bridge may publish", () => {
  it("leaves nothing behind when it is confirmed again and again", async () => {
    const listening = vi.spyOn(EventTarget.prototype, "addEventListener")
    try {
      const standing = open()
      for (let i = 0; i < 50; i++) await standing.confirm()
      const left = [...new Set(listening.mock.contexts)].flatMap((target) =>
        target instanceof AbortSignal ? getEventListeners(target, "abort") : []
      )
      expect(listening).toHaveBeenCalled()
      expect(left).toEqual([])
    } finally {
      listening.mockRestore()
    }
  })

  it("is asked anew when the connection is lost before there was an answer", async () => {
    const asked: Array<() => void> = []
    const standing = open(() => new Promise((resolve) => asked.push(resolve)))
    const confirmed = standing.confirm()
    await vi.waitUntil(() => asked.length === 1)
    standing.lost()
    expect(standing.isSure).toBe(false)
    await vi.waitUntil(() => asked.length === 2)
    asked[1]!()
    await confirmed
    expect(standing.isSure).toBe(true)
  })
})
