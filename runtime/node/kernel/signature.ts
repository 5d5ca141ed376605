import type { Signature } from "./types.ts"

/** 5 bytes "extip", version, flags, 0, and the term as an unsigned 32-bit integer, big-endian. */
export const signatureBytes = 12

const word = Buffer.from("extip")
const version = 1
const taken = 1
const released = 2

/** The signature at `offset`; `undefined` when there is none that we can read before `end`. */
export const readSignature = (frame: Buffer, offset: number, end: number): Signature | undefined => {
  if (offset + signatureBytes > end) return undefined
  for (let at = 0; at < word.length; at++) if (frame[offset + at] !== word[at]) return undefined
  if (frame[offset + 5] !== version) return undefined
  const flags = frame[offset + 6]!
  return {
    term: frame.readUInt32BE(offset + 8),
    taken: (flags & taken) !== 0,
    released: (flags & released) !== 0
  }
}

export const writeSignature = (signature: Signature, frame: Buffer, offset: number): void => {
  word.copy(frame, offset)
  frame[offset + 5] = version
  frame[offset + 6] = (signature.taken ? taken : 0) | (signature.released ? released : 0)
  frame.writeUInt32BE(signature.term, offset + 8)
}
