/*
 * inferfs/version.h - the version that inferfs -V and inferctl --version print
 */
#ifndef INFERFS_VERSION_H
#define INFERFS_VERSION_H

#define INFERFS_VERSION "0.1.0"

#endif
