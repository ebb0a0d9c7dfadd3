/**
 * A receiver's words without what differs from one row, or one answer, to the next: numbers, ids, and what stands in
 * quotes, such as label values. Words with equal results say the same thing. At most 80 characters.
 */
export function sameWords(words: string): string {
  return words
    .slice(0, 300)
    .replace(/"[^"]*"/g, '""')
    .replace(/[\da-f]*\d[\da-f-]*/gi, '0')
    .slice(0, 80);
}
