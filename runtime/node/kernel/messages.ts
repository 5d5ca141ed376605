import { arena } from "./libc.ts"

/** struct mmsghdr of 64-bit Linux, and struct iovec. */
const headerBytes = 64
const [nameAt, nameLengthAt, vectorAt, vectorsAt, lengthAt] = [0, 8, 16, 24, 56]
const vectorBytes = 16
const nameBytes = 32

export interface Messages {
  /** Of the headers, for sendmmsg and recvmmsg. */
  readonly address: bigint
  /** Sets where all messages go. */
  readonly to: (address: Uint8Array) => void
  /** Sets what the message says, and its length. */
  readonly put: (index: number, bytes: Uint8Array) => void
  /** What has been received as this message; valid until the next. */
  readonly take: (index: number) => Buffer
}

/** Room for `count` datagrams of `size` bytes each, in one piece, so that one system call moves them all. */
export const messages = (count: number, size: number): Messages => {
  const vectors = count * headerBytes
  const name = vectors + count * vectorBytes
  const data = name + nameBytes
  const { bytes, address } = arena(data + count * size)
  for (let index = 0; index < count; index++) {
    bytes.writeBigUInt64LE(address + BigInt(vectors + index * vectorBytes), index * headerBytes + vectorAt)
    bytes.writeBigUInt64LE(1n, index * headerBytes + vectorsAt)
    bytes.writeBigUInt64LE(address + BigInt(data + index * size), vectors + index * vectorBytes)
    bytes.writeBigUInt64LE(BigInt(size), vectors + index * vectorBytes + 8)
  }
  return {
    address,
    to: (socketAddress) => {
      bytes.set(socketAddress, name)
      for (let index = 0; index < count; index++) {
        bytes.writeBigUInt64LE(address + BigInt(name), index * headerBytes + nameAt)
        bytes.writeUInt32LE(socketAddress.length, index * headerBytes + nameLengthAt)
      }
    },
    put: (index, said) => {
      if (said.length > size) throw new RangeError(`${said.length} bytes do not fit in ${size}`)
      bytes.set(said, data + index * size)
      bytes.writeUInt32LE(said.length, vectors + index * vectorBytes + 8)
    },
    take: (index) => {
      const start = data + index * size
      return bytes.subarray(start, start + bytes.readUInt32LE(index * headerBytes + lengthAt))
    }
  }
}
