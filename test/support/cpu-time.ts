import process from 'node:process';

/** Milliseconds of CPU that this process has used: unlike time on the wall, the same for the same work when the machine is busy or stands still. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
