/** The sixteen keys of ITU-T Q.23, in the order of their RFC 4733 event codes 0 to 15. */
export const DTMF_DIGITS = '0123456789*#ABCD';

/** The two groups of four frequencies: one of each makes a key. */
export const LOW_HZ = [697, 770, 852, 941] as const;
export const HIGH_HZ = [1209, 1336, 1477, 1633] as const;
const KEYPAD = '123A456B789C*0#D';

/** The two frequencies of a key, or undefined when it is none. */
export function dtmfFrequencies(digit: string): readonly [lowHz: number, highHz: number] | undefined {
  const index = digit.length === 1 ? KEYPAD.indexOf(digit) : -1;
  const low = LOW_HZ[index >> 2];
  const high = HIGH_HZ[index & 3];
  return low === undefined || high === undefined ? undefined : [low, high];
}

/** The key in a row and column of the keypad, both from 0 to 3. */
export function dtmfDigitAt(row: number, column: number): string | undefined {
  return KEYPAD[4 * row + column];
}
