import { describe, expect, it } from "@effect/vitest"
import { announceFrames, parseFrame, probeFrame } from "./frames.ts"

const ours = "02:00:00:00:00:01"
const theirs = "02:00:00:00:00:02"
const third = "02:00:00:00:00:03"
const signature = { term: 4_294_967_295, taken: true, released: false }

/** A neighbour advertisement that Linux sent for fd00::9 in answer to a unicast solicitation from fe80::1. */
const answer = Buffer.from(
  `${"020000000001" + "020000000002"}86dd6000000000203aff${"fd000000000000000000000000000009"}${"fe800000000000000000000000000001"}` +
    `8800000060000000${"fd000000000000000000000000000009"}0201020000000002`,
  "hex"
)
/** The sum that makes the message right, as RFC 1071 has it. */
const summed = (frame: Buffer): Buffer => {
  frame.writeUInt16BE(0, 56)
  let sum = 58 + frame.length - 54
  for (let at = 22; at < frame.length; at += 2) sum += frame.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  frame.writeUInt16BE(~sum & 0xffff, 56)
  return frame
}

describe("a frame", () => {
  it.each(["192.0.2.7", "fd00::7"])(
    "that probes for %s is heard as a question by everyone but the sender",
    (address) => {
      const frame = probeFrame(address, ours)
      const heard = { what: "asks", address, mac: ours, toUs: false, isReply: false, signature: undefined }
      expect(parseFrame(frame, theirs)).toEqual(heard)
      expect(parseFrame(frame, ours)).toBeUndefined()
    }
  )

  it.each([
    ["192.0.2.7", undefined],
    ["fd00::7", undefined],
    ["fd00::7", "fe80::1"]
  ])("that probes one machine for %s (from %s) is to that machine alone, and signed", (address, from) => {
    const frame = probeFrame(address, ours, theirs, signature, from)
    const heard = { what: "asks", address, mac: ours, isReply: false, signature }
    expect(parseFrame(frame, theirs)).toEqual({ ...heard, toUs: true })
    expect(parseFrame(frame, third)).toEqual({ ...heard, toUs: false })
  })

  it("that asks from an address of ours, as a host does that looks for a neighbour, is no probe: it says where we are", () => {
    const frame = probeFrame("192.0.2.7", ours, theirs, undefined, "192.0.2.1")
    const heard = { what: "has", address: "192.0.2.1", mac: ours, isReply: false, signature: undefined }
    expect(parseFrame(frame, theirs)).toEqual({ ...heard, toUs: true })
    // RFC 826: the target's address, and none of it in the target's MAC.
    expect(frame.subarray(32, 42).toString("hex")).toBe("000000000000c0000207")
    expect(frame.subarray(20, 22).toString("hex")).toBe("0001")
  })

  it("that tells of a released address goes to all nodes, and is a probe", () => {
    const released = { term: 7, taken: false, released: true }
    for (const address of ["192.0.2.7", "fd00::7"]) {
      expect(parseFrame(probeFrame(address, ours, undefined, released), theirs)).toMatchObject({
        what: "asks",
        address,
        signature: released
      })
    }
    expect(probeFrame("fd00::7", ours, undefined, released).subarray(0, 6).toString("hex")).toBe(
      "333300000001"
    )
    expect(probeFrame("fd00::7", ours).subarray(0, 6).toString("hex")).toBe("3333ff000007")
  })

  it("that announces an IPv4 address is a gratuitous request and a reply, 60 bytes each, the signature in the padding", () => {
    const frames = announceFrames("192.0.2.7", ours, signature)
    const heard = { what: "has", address: "192.0.2.7", mac: ours, toUs: false, signature }
    expect(frames.map((frame) => parseFrame(frame, theirs))).toEqual([
      { ...heard, isReply: false },
      { ...heard, isReply: true }
    ])
    expect(frames.map((frame) => frame.length)).toEqual([60, 60])
    expect(frames[0]!.subarray(42, 54).toString("latin1")).toBe("extip\x01\x01\x00\xff\xff\xff\xff")
  })

  it("that announces an IPv6 address is an unsolicited advertisement that overrides", () => {
    const [frame, ...more] = announceFrames("fd00::7", ours, signature)
    expect(more).toEqual([])
    expect(parseFrame(frame!, theirs)).toEqual({
      what: "has",
      address: "fd00::7",
      mac: ours,
      toUs: false,
      isReply: false,
      signature
    })
    expect(frame![58]).toBe(0x20)
  })

  it("in which the kernel answers is heard as a reply to us", () => {
    const heard = { what: "has", mac: theirs, toUs: true, isReply: true, signature: undefined }
    expect(parseFrame(summed(answer), ours)).toEqual({ ...heard, address: "fd00::9" })
    const arp = Buffer.from(
      `020000000001020000000002${"0806000108000604"}0002020000000002c00002090200000000010000000000`,
      "hex"
    )
    expect(parseFrame(arp, ours)).toEqual({ ...heard, address: "192.0.2.9" })
  })

  it.each([
    ["with a wrong checksum", (frame: Buffer) => frame.fill(1, 56, 57)],
    ["that a router has passed on", (frame: Buffer) => summed(frame.fill(254, 21, 22))],
    ["with an option of length 0", (frame: Buffer) => summed(frame.fill(0, 79, 80))],
    ["with an option that reaches beyond its end", (frame: Buffer) => summed(frame.fill(2, 79, 80))],
    ["for a group's address", (frame: Buffer) => summed(frame.fill(0xff, 62, 63))],
    ["cut short", (frame: Buffer) => frame.subarray(0, 80)]
  ])("%s is none", (_, spoil) => {
    expect(parseFrame(spoil(Buffer.from(summed(answer))), ours)).toBeUndefined()
  })

  it("of an ARP reply without a sender's address, or from a group's MAC, is none", () => {
    const reply = announceFrames("192.0.2.7", theirs, signature)[1]!
    expect(parseFrame(Buffer.from(reply).fill(0, 28, 32), ours)).toBeUndefined()
    expect(parseFrame(Buffer.from(reply).fill(0xff, 22, 28), ours)).toBeUndefined()
  })

  it("signed by another version is heard without the signature", () => {
    const [frame] = announceFrames("192.0.2.7", theirs, signature)
    frame![47] = 2
    expect(parseFrame(frame!, ours)).toMatchObject({ address: "192.0.2.7", signature: undefined })
  })

  it("is written as it is written elsewhere: IPv6 in lower case, the longest run of zeros left out", () => {
    const asked = (address: string) => parseFrame(probeFrame(address, ours), theirs)?.address
    expect(asked("2001:DB8:0:0:1:0:0:0")).toBe("2001:db8:0:0:1::")
    expect(asked("fd00:0:0:1::")).toBe("fd00:0:0:1::")
  })

  it("of random bytes, or a real one with random damage, never throws", () => {
    // A seed of its own, so that a failure comes again.
    let state = 42
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const real = [
      ...announceFrames("192.0.2.7", theirs, signature),
      ...announceFrames("fd00::7", theirs, signature)
    ]
    let heard = 0
    for (let round = 0; round < 50_000; round++) {
      const frame = Buffer.from(real[random(3)]!)
      if (round % 3 === 0)
        frame.forEach((_, at) => {
          frame[at] = random(256)
        })
      else for (let times = random(4); times >= 0; times--) frame[random(frame.length)] = random(256)
      const length = round % 2 === 0 ? frame.length : random(frame.length + 1)
      if (parseFrame(frame.subarray(0, length), ours) !== undefined) heard++
    }
    expect(heard).toBeGreaterThan(1_000)
  })
})
