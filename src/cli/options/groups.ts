/** Groups of options that several commands share. */
import type { Command } from 'commander';

/** Adds the options of one group to a command. Each group has an interface for their values. */
export type OptionGroup = (command: Command) => Command;

/** The heading of a command's own options. */
export const COMMAND_OPTIONS = 'Options:';

/** Adds `groups` to `command`; the help lists their options in this order. */
export function useOptions(command: Command, groups: readonly OptionGroup[]): Command {
  for (const addGroup of groups) {
    addGroup(command);
    // Options that are added to the command afterwards do not belong to the group.
    command.optionsGroup(COMMAND_OPTIONS);
  }
  return command;
}
