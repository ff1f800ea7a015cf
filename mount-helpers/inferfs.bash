# bash completion for inferfs(1) and inferctl(1)
# shellcheck shell=bash

_inferfs_options="config= state= cache= model= wait cache_mode= log= log_file= allow_other default_permissions ro fsname="
_inferctl_commands="ask wait watch stats log report verify gc copy export import route reload"

# a word of the list behind -o: what stands before its last comma is kept
_inferfs_option() {
	local cur=$1 before="" word
	case $cur in
	*,*) before=${cur%,*}, word=${cur##*,} ;;
	*) word=$cur ;;
	esac
	case $word in
	cache_mode=*) mapfile -t COMPREPLY < <(compgen -P "${before}cache_mode=" -W "use bypass refresh only" -- "${word#*=}") ;;
	log=*) mapfile -t COMPREPLY < <(compgen -P "${before}log=" -W "error warning info debug" -- "${word#*=}") ;;
	cache=) mapfile -t COMPREPLY < <(compgen -P "${before}cache=" -W "disk: tmp: redis:// rediss:// s3:// plugin:" --) ;;
	config=* | state=* | log_file=*)
		mapfile -t COMPREPLY < <(compgen -P "$before${word%%=*}=" -f -- "${word#*=}")
		;;
	*) mapfile -t COMPREPLY < <(compgen -P "$before" -W "$_inferfs_options" -- "$word") ;;
	esac
	compopt -o nospace
}

_inferfs() {
	local cur=${COMP_LINE:0:COMP_POINT}
	cur=${cur##* } # the whole word: readline takes "=" and ":" for breaks
	COMPREPLY=()
	if [[ ${COMP_LINE:0:COMP_POINT} == *" -o "* && ${COMP_LINE:0:COMP_POINT} =~ \ -o\ [^\ ]*$ ]]; then
		_inferfs_option "$cur"
		# readline replaces only what follows the last break
		local stem=${cur%"${cur##*[=:]}"}
		COMPREPLY=("${COMPREPLY[@]#"$stem"}")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "-o -f -d -h -V" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	fi
}

_inferctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} i command=""
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-m) ((i++)) ;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	COMPREPLY=()
	if [[ ${COMP_WORDS[COMP_CWORD - 1]} == -m ]]; then
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	elif [[ -n $command ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "-m -h -V" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$_inferctl_commands" -- "$cur")
	fi
}

complete -o filenames -F _inferfs inferfs
complete -o filenames -F _inferctl inferctl
