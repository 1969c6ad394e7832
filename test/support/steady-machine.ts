import type { TestContext } from 'vitest';
import { Lateness } from './lateness.ts';

/** A process that stands still for so long hears little but that: packets are thrown away, and pieces of speech are not found again. */
const UNSTEADY_MS = 150;

/** A second chance, no third: each costs as long as the calls last. */
const TRIES = 2;

/** How this process ran while something was measured in it. */
export interface Steadiness {
  /** The longest that it stood still at a time, in milliseconds. */
  readonly slackMs: number;
  /** All of these times together, in milliseconds. */
  readonly stoodMs: number;
}

/** Watches this process from now on; call what it returns at the end. */
export function watchSteadiness(): () => Promise<Steadiness> {
  const late = new Lateness();
  return async () => {
    const steadiness = { slackMs: await late.soFar(), stoodMs: late.totalMs };
    late.stop();
    return steadiness;
  };
}

/**
 * Measures something in this process, where phones and gateway are: once more when the machine stood still meanwhile.
 * @param take should watch no more than the time that is measured, and work out what it found when that is over
 */
export async function measureSteadily<T extends { readonly steadiness: Steadiness }>(take: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const taken = await take();
    if (taken.steadiness.slackMs <= UNSTEADY_MS || tries === TRIES) return taken;
    console.log(`measured again: this machine stood still for ${taken.steadiness.slackMs.toFixed(0)} ms`);
  }
}

/** Skips a test, and says why, when there was nothing to measure on this machine. */
export function needsSteady({ skip }: TestContext, { slackMs }: Steadiness): void {
  skip(slackMs > UNSTEADY_MS, `this machine stood still for ${slackMs.toFixed(0)} ms`);
}
