import { describe, expect, it } from "@effect/vitest"
import { addressBytes } from "./addresses.ts"
import { deleteAddress, eachMessage, forever, newAddress, RTM } from "./rtnetlink.ts"
import { readAddress, readDefaultRoute, readLink } from "./rtnetlinkRead.ts"

const mark = 0x65
const put = (address: string, validSeconds: number, exclusive = true) =>
  newAddress(7, { linkIndex: 3, address: addressBytes(address), mark, validSeconds, exclusive })

const attribute = (type: number, value: ReadonlyArray<number>): ReadonlyArray<number> => {
  const length = 4 + value.length
  const padding = (4 - (length & 3)) & 3
  return [length, 0, type, 0, ...value, ...new Array<number>(padding).fill(0)]
}

describe("a message to the kernel", () => {
  it.each([
    ["10.0.0.1", 32],
    ["fd00::1", 128]
  ])("that puts %s is of the whole address, carries the mark and ends by itself", (address, prefix) => {
    const bytes = put(address, 10)
    expect(readAddress(bytes, 16, bytes.length)).toEqual({
      index: 3,
      address,
      prefix,
      protocol: mark,
      validSeconds: 10,
      linkLocal: false
    })
  })

  it("that puts an address for good says so by the largest number", () => {
    const bytes = put("10.0.0.1", forever)
    expect(readAddress(bytes, 16, bytes.length)?.validSeconds).toBe(Number.POSITIVE_INFINITY)
  })

  it("that puts an address anew fails if it is there, one that renews replaces it", () => {
    const [exclusive, create, replace] = [0x200, 0x400, 0x100]
    expect(put("10.0.0.1", 10, true).readUInt16LE(6) & 0x700).toBe(exclusive | create)
    expect(put("10.0.0.1", 10, false).readUInt16LE(6) & 0x700).toBe(replace | create)
  })

  it("is told from others in one piece by its sequence number", () => {
    const bytes = Buffer.concat([put("10.0.0.1", 10), deleteAddress(8, 3, addressBytes("fd00::1"))])
    const seen: Array<readonly [number, number]> = []
    eachMessage(bytes, bytes.length, (type, sequence) => seen.push([type, sequence]))
    expect(seen).toEqual([
      [RTM.newAddress, 7],
      [RTM.deleteAddress, 8]
    ])
  })
})

describe("a message from the kernel", () => {
  const link = (family: number, flags: number) => {
    const bytes = Buffer.alloc(16)
    bytes[0] = family
    bytes.writeUInt16LE(1, 2)
    bytes.writeInt32LE(3, 4)
    bytes.writeUInt32LE(flags, 8)
    const kind = attribute(1, [...Buffer.from("veth\0")])
    return Buffer.concat([
      bytes,
      Buffer.from([
        ...attribute(3, [...Buffer.from("eth0\0")]),
        ...attribute(1, [2, 0, 0, 0, 0, 1]),
        ...attribute(18, kind)
      ])
    ])
  }

  it("tells a link's name, MAC, kind, and whether something is at its other end", () => {
    const bytes = link(0, 0x1 | 0x10000)
    expect(readLink(bytes, 0, bytes.length)).toEqual({
      index: 3,
      name: "eth0",
      mac: "02:00:00:00:00:01",
      up: true,
      carrier: true,
      loopback: false,
      kind: "veth"
    })
    expect(readLink(link(0, 0x1), 0, bytes.length)).toMatchObject({ up: true, carrier: false })
  })

  it("that a link has joined a bridge is not taken for news of the link", () => {
    const bytes = link(7, 1)
    expect(readLink(bytes, 0, bytes.length)).toBeUndefined()
  })

  it("tells the links of a default route, also of one with several ways", () => {
    const route = (prefix: number, attributes: ReadonlyArray<number>) =>
      Buffer.from([2, prefix, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0, ...attributes])
    const read = (bytes: Buffer) => readDefaultRoute(bytes, 0, bytes.length)
    const ways = [8, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0, 5, 0, 0, 0]
    expect(read(route(0, attribute(4, [3, 0, 0, 0])))).toEqual([3])
    expect(read(route(0, attribute(9, ways)))).toEqual([4, 5])
    expect(read(route(24, attribute(4, [3, 0, 0, 0])))).toEqual([])
  })

  it("that is damaged is read without an error", () => {
    let state = 7
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const whole = [put("fd00::1", 10).subarray(16), link(0, 1)]
    for (let round = 0; round < 30_000; round++) {
      const bytes = Buffer.from(whole[random(2)]!)
      for (let times = random(6); times >= 0; times--) bytes[random(bytes.length)] = random(256)
      const end = random(bytes.length + 1)
      const cut = bytes.subarray(0, end)
      readAddress(cut, 0, end)
      readLink(cut, 0, end)
      readDefaultRoute(cut, 0, end)
      eachMessage(cut, end, () => {})
    }
  })
})
