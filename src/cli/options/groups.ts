/** Groups of options that several commands share. */
import type { Command } from 'commander';

/** Adds the options of one group to a command. Each group has an interface for the values that it yields. */
export type OptionGroup = (command: Command) => Command;

/** Adds `groups` to `command`; the help lists their options in this order. */
export function useOptions(command: Command, groups: readonly OptionGroup[]): Command {
  for (const addGroup of groups) {
    addGroup(command);
  }
  return command;
}
