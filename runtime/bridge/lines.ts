/**
 * Splits a stream of bytes into lines without copying more than once. A watch event of 1.5 MB arrives in many chunks,
 * so pieces are gathered and joined only at the line's end.
 */
export async function* lines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pieces: Array<Buffer> = []
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const piece = chunk.subarray(start, end)
      start = end + 1
      if (pieces.length === 0) {
        if (piece.length > 0) yield piece.toString("utf8")
      } else {
        pieces.push(piece)
        yield Buffer.concat(pieces).toString("utf8")
        pieces = []
      }
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start))
  }
}
