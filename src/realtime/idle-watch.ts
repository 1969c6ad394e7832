/** Nobody who did not answer twice is asked a third time. */
const MOST_PROMPTS = 2;

/** Notices that nobody says anything after the agent has spoken. */
export class IdleWatch {
  timeoutMs: number | undefined;
  #prompts = 0;
  #spoken = false;

  /** The agent says something. */
  agentSpoke(): void {
    this.#spoken = true;
  }

  /** The caller says something. */
  callerSpoke(): void {
    this.#prompts = 0;
    this.#spoken = false;
  }

  /** Is it time to ask? `quietMs`: since the last audio of the agent. True once. */
  isDue(quietMs: number): boolean {
    if (this.timeoutMs === undefined || !this.#spoken || quietMs < this.timeoutMs || this.#prompts >= MOST_PROMPTS) return false;
    this.#prompts += 1;
    this.#spoken = false;
    return true;
  }
}
