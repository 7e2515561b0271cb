/** `keyward completion`: what a shell needs to complete the commands, written from the commands themselves. */
import { Argument, type Command, type Option } from 'commander';

/** One command as completion sees it. */
interface Node {
  /** From the program: `keys create`. */
  path: string;
  commands: { name: string; about: string }[];
  options: { flags: string[]; about: string; takes: boolean; choices: readonly string[] }[];
  choices: readonly string[];
}

const seen = (option: Option) => ({ flags: [option.short, option.long].filter((flag) => flag !== undefined), about: option.description, takes: option.required || option.optional, choices: option.argChoices ?? [] });

/** The command and all beneath it. */
function nodes(command: Command, path: string[] = []): Node[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((one) => one.name() !== 'help' || path.length === 0);
  return [
    {
      path: path.join(' '),
      commands: commands.map((one) => ({ name: one.name(), about: one.summary() || one.description() })),
      options: help.visibleOptions(command).map(seen),
      choices: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    },
    ...commands.filter((one) => one.name() !== 'help').flatMap((one) => nodes(one, [...path, one.name()])),
  ];
}

const words = (texts: readonly string[]) => texts.join(' ');
/** As one word of a shell, whatever it holds. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const key = (path: string) => (path === '' ? 'keyward' : `keyward ${path}`);

/** The flags that take a value: what follows one is no command. */
const valued = (all: Node[]) => [...new Set(all.flatMap(({ options }) => options.filter(({ takes }) => takes).flatMap(({ flags }) => flags)))];

function bash(all: Node[]): string {
  const chosen = all.flatMap(({ path, options }) => options.filter(({ choices }) => choices.length > 0).flatMap(({ flags, choices }) => flags.map((flag) => `    ${quoted(`${key(path)} ${flag}`)}) COMPREPLY=($(compgen -W ${quoted(words(choices))} -- "$word")); return ;;`)));
  return `# bash completion of keyward: eval "$(keyward completion bash)"
_keyward() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path=keyward part value= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    part=\${COMP_WORDS[i]}
    if [[ -n $value ]]; then value=; continue; fi
    case $part in
      ${valued(all).join('|')}) value=1 ;;
      -*) ;;
      *) case "$path $part" in
        ${all.slice(1).map(({ path }) => quoted(key(path))).join('|')}) path="$path $part" ;;
      esac ;;
    esac
  done
  case "$path $before" in
${chosen.join('\n')}
  esac
  if [[ -n $value ]]; then COMPREPLY=($(compgen -f -- "$word")); return; fi
  local commands= options=
  case $path in
${all.map(({ path, commands, options, choices }) => `    ${quoted(key(path))}) commands=${quoted(words([...commands.map(({ name }) => name), ...choices]))} options=${quoted(words(options.flatMap(({ flags }) => flags)))} ;;`).join('\n')}
  esac
  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$word"))
  elif [[ -n $commands ]]; then COMPREPLY=($(compgen -W "$commands" -- "$word"))
  else COMPREPLY=($(compgen -f -- "$word")); fi
}
complete -o filenames -o bashdefault -F _keyward keyward
`;
}

/** A text of zsh's \`_describe\`: a colon parts the name from what it is. */
const described = (name: string, about: string) => quoted(`${name.replaceAll(':', '\\:')}:${about.replaceAll('\n', ' ')}`);

function zsh(all: Node[]): string {
  return `#compdef keyward
# zsh completion of keyward: eval "$(keyward completion zsh)"
_keyward() {
  local path_=keyward part value= i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    part=$words[i]
    if [[ -n $value ]]; then value=; continue; fi
    case $part in
      (${valued(all).join('|')}) value=1 ;;
      (-*) ;;
      (*) case "$path_ $part" in
        (${all.slice(1).map(({ path }) => quoted(key(path))).join('|')}) path_="$path_ $part" ;;
      esac ;;
    esac
  done
  case "$path_ $words[CURRENT-1]" in
${all.flatMap(({ path, options }) => options.filter(({ choices }) => choices.length > 0).flatMap(({ flags, choices }) => flags.map((flag) => `    (${quoted(`${key(path)} ${flag}`)}) compadd -- ${choices.map(quoted).join(' ')}; return ;;`))).join('\n')}
  esac
  if [[ -n $value ]]; then _files; return; fi
  case $path_ in
${all.map(({ path, commands, options, choices }) => `    (${quoted(key(path))})
      commands=(${[...commands.map(({ name, about }) => described(name, about)), ...choices.map(quoted)].join(' ')})
      options=(${options.flatMap(({ flags, about }) => flags.map((flag) => described(flag, about))).join(' ')}) ;;`).join('\n')}
  esac
  if [[ $words[CURRENT] == -* ]]; then _describe option options
  elif (( $#commands )); then _describe command commands
  else _files; fi
}
if [[ $funcstack[1] == _keyward ]]; then _keyward "$@"; else compdef _keyward keyward; fi
`;
}

function fish(all: Node[]): string {
  const lines = [`# fish completion of keyward: keyward completion fish | source
function __keyward_path
  set -l path keyward
  set -l value 0
  for part in (commandline -opc)[2..-1]
    if test $value = 1
      set value 0
      continue
    end
    switch $part
      case ${words(valued(all))}
        set value 1
      case '-*'
      case '*'
        contains -- "$path $part" ${words(all.slice(1).map(({ path }) => quoted(key(path))))}
        and set path "$path $part"
    end
  end
  echo $path
end
complete -c keyward -f`];
  for (const { path, commands, options, choices } of all) {
    const here = `complete -c keyward -n ${quoted(`test (__keyward_path) = "${key(path)}"`)}`;
    for (const { name, about } of commands) lines.push(`${here} -a ${quoted(name)} -d ${quoted(about)}`);
    if (choices.length > 0) lines.push(`${here} -a ${quoted(words(choices))}`);
    else if (commands.length === 0) lines.push(`${here} -F`);
    for (const { flags, about, takes, choices: values } of options) {
      const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(' ');
      lines.push(`${here} ${names}${takes ? (values.length > 0 ? ` -x -a ${quoted(words(values))}` : ' -r -F') : ''} -d ${quoted(about)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const SHELLS = { bash, zsh, fish };

export function completionCommand(program: Command): void {
  program.command('completion')
    .summary('complete commands in your shell')
    .description('Prints what your shell needs to complete the commands and their flags.')
    .addArgument(new Argument('<shell>', 'which one').choices(Object.keys(SHELLS)))
    .addHelpText('after', `
The shell completes what it finds by the name keyward: after npm install -g keyward, or, of a local install, with its folder on the PATH:
  export PATH="$PWD/node_modules/.bin:$PATH"
npx keyward is not completed. To write the lines below with a local install: npx keyward completion bash.

Examples
  echo 'eval "$(keyward completion bash)"' >> ~/.bashrc
  echo 'eval "$(keyward completion zsh)"' >> ~/.zshrc          after compinit
  keyward completion fish > ~/.config/fish/completions/keyward.fish`)
    .action((shell: keyof typeof SHELLS) => void process.stdout.write(SHELLS[shell](nodes(program))));
}
