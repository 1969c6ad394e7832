import process from 'node:process';

/** What `work` costs this process, in milliseconds of CPU: the same when the machine is busy or stands still for a while, as time on the wall is not. */
export function cpuMsOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
