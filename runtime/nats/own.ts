/**
 * The same text in a string of its own. V8 makes a piece of 13 characters and more a view of the string that it was cut
 * from: a uid that is kept for days would keep the 500 bytes of its message's headers.
 */
export const own = (text: string): string => (text.length < 13 ? text : Buffer.from(text).toString())
