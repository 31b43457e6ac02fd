#include "sgdist/status.h"
#include <stdio.h>
int main(void) {
    puts("sgdist");
    return 0;
}
