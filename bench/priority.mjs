import { setPriority } from 'node:os';

/** Above what else runs on the machine, so that neighbours' turns do not show as delays of ours. */
const NICE = -15;

/** Asks for the processor before others, where that is allowed (it takes root); threads that start later inherit it. */
export function goFirst() {
  try {
    setPriority(NICE);
    return true;
  } catch {
    return false;
  }
}
