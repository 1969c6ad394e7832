import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as elapse } from 'node:timers/promises';

const LOCK = join(tmpdir(), 'ringdown-bench.lock');
const OWNER = join(LOCK, 'pid');

/** Waits until no other benchmark runs on this machine: two would measure each other. The place is freed at exit. */
export async function runAlone() {
  for (let told = false; !take(); await elapse(500)) {
    if (!told) console.error('another benchmark runs; waiting …');
    told = true;
  }
  process.on('exit', () => rmSync(LOCK, { recursive: true, force: true }));
}

function take() {
  try {
    mkdirSync(LOCK);
    writeFileSync(OWNER, String(process.pid));
    return true;
  } catch {
    if (!isHeld()) rmSync(LOCK, { recursive: true, force: true });
    return false;
  }
}

function isHeld() {
  try {
    process.kill(Number(readFileSync(OWNER, 'utf8')), 0);
    return true;
  } catch (error) {
    // Just made and not signed yet, or left behind by one that was killed.
    return error.code !== 'ESRCH';
  }
}
